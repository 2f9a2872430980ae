"""The models that all rooms share; each is written beside what it is for."""

from polaris.accounts.models import AgentGrant, SignIn
from polaris.audit.models import AuditChain, AuditEntry
from polaris.metrics.models import Counter
from polaris.privacy.models import LookupState
from polaris.throttling.models import Tally
from polaris.web_processes.models import WebProcess

__all__ = [
    "AgentGrant",
    "AuditChain",
    "AuditEntry",
    "Counter",
    "LookupState",
    "SignIn",
    "Tally",
    "WebProcess",
]
