"""Everyone who takes part, in the order of a round."""

from bench.contenders.apscheduler_sqlalchemy import ApschedulerSqlalchemy
from bench.contenders.bare_sdk import BareSdk
from bench.contenders.base import Contender
from bench.contenders.celery_eta import CeleryEta, CeleryPrefork
from bench.contenders.huey_eta import HueyEta
from bench.contenders.polaris_celery import PolarisCelery, PolarisCeleryTwo
from bench.contenders.polaris_runners import PolarisRunners
from bench.contenders.procrastinate_jobs import ProcrastinateJobs
from bench.contenders.raw_django_apscheduler import RawDjangoApscheduler

CONTENDERS: dict[str, type[Contender]] = {
    contender.name: contender
    for contender in (
        BareSdk,
        PolarisRunners,
        PolarisCelery,
        PolarisCeleryTwo,
        CeleryEta,
        CeleryPrefork,
        HueyEta,
        ApschedulerSqlalchemy,
        ProcrastinateJobs,
        RawDjangoApscheduler,
    )
}
