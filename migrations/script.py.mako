"""${message.rstrip(".")}.

Revision: ${up_revision}
Revises: ${comma(down_revision) or "nothing"}
Created: ${create_date.strftime("%Y-%m-%d")}
"""
<%
    body = f"{upgrades or ''}{downgrades or ''}"

    def literal(value):
        return repr(value).replace("'", '"')
%>
from __future__ import annotations

from collections.abc import Sequence

% if "sa." in body:
import sqlalchemy as sa
% endif
from alembic import op
% if imports:
${imports}
% endif

revision: str = ${literal(up_revision)}
down_revision: str | Sequence[str] | None = ${literal(down_revision)}
branch_labels: str | Sequence[str] | None = ${literal(branch_labels)}
depends_on: str | Sequence[str] | None = ${literal(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
