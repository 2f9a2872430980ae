"""The made-up account that every contender dials with, and the form that it posts."""

ACCOUNT_SID = "AC" + "b" * 32
AUTH_TOKEN = "a token of the bench"
FROM_NUMBER = "+15005550006"
CALLS_PATH = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls.json"
TWIML = "<Response><Say>Hello. This is your scheduled call. Good-bye.</Say></Response>"
EVENTS = ["initiated", "ringing", "answered", "completed"]


def number(index: int) -> str:
    """The phone number of a measured call."""
    return f"+1415{index:07d}"


def warm_up_number(index: int) -> str:
    """The phone number of a call before the measured ones; the judge passes over it."""
    return f"+1650{index:07d}"


def is_measured(phone: str) -> bool:
    """Whether a call counts."""
    return phone.startswith("+1415")


def create_form(phone: str) -> dict[str, object]:
    """What the SDK would post for a call."""
    return {
        "To": phone,
        "From": FROM_NUMBER,
        "StatusCallback": f"http://127.0.0.1:8000/webhook/call-status?attempt_id={phone[1:]}",
        "StatusCallbackEvent": EVENTS,
        "Twiml": TWIML,
    }
