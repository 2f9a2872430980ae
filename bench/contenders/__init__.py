"""Everyone who takes part, in the order of a round."""

from bench.contenders.bare_sdk import BareSdk
from bench.contenders.base import Contender
from bench.contenders.celery_eta import CeleryEta
from bench.contenders.polaris_runners import PolarisRunners

CONTENDERS: dict[str, type[Contender]] = {
    contender.name: contender for contender in (BareSdk, PolarisRunners, CeleryEta)
}
