"""The peers' job: a POST to the carrier and a row, each over a connection that a thread keeps."""

import os
import threading

import psycopg
import requests

from bench.account import ACCOUNT_SID, AUTH_TOKEN, CALLS_PATH, create_form

_here = threading.local()


def dial(phone: str) -> None:
    """Place a call and write it down."""
    address = os.environ["BENCH_CARRIER"] + CALLS_PATH
    answer = _session().post(address, data=create_form(phone), timeout=(3.05, 10))
    answer.raise_for_status()
    _connection().execute(
        "INSERT INTO calls (phone, call_id) VALUES (%s, %s)", (phone, answer.json()["sid"])
    )


def _session() -> requests.Session:
    if not hasattr(_here, "session"):
        _here.session = requests.Session()
        _here.session.auth = (ACCOUNT_SID, AUTH_TOKEN)
    return _here.session


def _connection() -> psycopg.Connection:
    if not hasattr(_here, "connection"):
        _here.connection = psycopg.connect(os.environ["BENCH_DATABASE"], autocommit=True)
    return _here.connection
