"""How well a collection answers: measured on judged queries, by the metrics of information retrieval."""

from vectordb.collection.recall import Recall
from vectordb.evaluation.comparing import Comparison, QueryDifference
from vectordb.evaluation.configuration import Configuration, default_configurations
from vectordb.evaluation.dataset import Dataset, load_dataset
from vectordb.evaluation.evaluating import DEFAULT_METRICS, evaluate
from vectordb.evaluation.metrics import RankingMetric, measure_run, parse_metrics
from vectordb.evaluation.plotting import check_plot
from vectordb.evaluation.report import Outcome, Report
from vectordb.evaluation.significance import bootstrap_interval, randomisation_test
from vectordb.evaluation.tuning import Tuning, tune_alpha

__all__ = [
    "DEFAULT_METRICS",
    "Comparison",
    "Configuration",
    "Dataset",
    "Outcome",
    "QueryDifference",
    "RankingMetric",
    "Recall",
    "Report",
    "Tuning",
    "bootstrap_interval",
    "check_plot",
    "default_configurations",
    "evaluate",
    "load_dataset",
    "measure_run",
    "parse_metrics",
    "randomisation_test",
    "tune_alpha",
]
