"""What this gateway knows and a schema cannot say, for Schemathesis.

Only values that are right by the schema are replaced, by others that are right by it as well: a case
that is meant to be refused stays one. What is left out of a schema is the configuration (bucket aliases,
where callbacks may go), the clock, lengths in bytes, languages of their own (networks, URLs, templates,
media types) and how query parameters depend on each other.
"""

import re
import time

import schemathesis
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

NOW = int(time.time())
CALLBACKS = ["https://hooks.example/a", "http://hooks.example:8080/b?c=d"]
NETWORKS = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"]
REFERERS = ["https://a.example/", "http://b.example/c"]
MEDIA_TYPES = ["image/png", "text/plain; charset=utf-8"]
URL = re.compile(r"^https?://[^\x00-\x1f\x7f-\x9f]+\Z", re.IGNORECASE)


def is_text(value):
    return isinstance(value, str) and value != ""


def is_time(value):
    """Also `5.0`, which is an integer by JSON Schema."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value < 2**63 and value == int(value)


def pick(samples, value):
    return samples[len(value) % len(samples)]


def cut(text, most):
    return text.encode("utf-8", "surrogatepass")[:most].decode("utf-8", "ignore") or "x"


def is_list_of_texts(value, most):
    return isinstance(value, list) and len(value) <= most and all(isinstance(v, str) for v in value)


def mend_token(token, bucket):
    """A token as `POST /token` has it, or a change of one."""
    if is_text(token.get("bucket")):
        token["bucket"] = bucket
    for field, most in [("key", 1024), ("filename", 1024), ("callback_body", 16)]:
        if is_text(token.get(field)) and len(token[field]) <= 1024:
            token[field] = cut(token[field], most)
    if is_text(token.get("callback_body")):
        token["callback_body"] = "${size}"
    if is_time(token.get("expire_at")):
        token["expire_at"] = NOW + 3600 + int(token["expire_at"]) % 10**8
    if is_time(token.get("not_before")):
        token["not_before"] = int(token["not_before"]) % (NOW + 1000)
    if is_text(token.get("callback")) and URL.match(token["callback"]):
        token["callback"] = pick(CALLBACKS, token["callback"])
    if is_text(token.get("content_type")) and len(token["content_type"]) <= 255:
        token["content_type"] = pick(MEDIA_TYPES, token["content_type"])
    if is_list_of_texts(token.get("allowed_ips"), 100):
        token["allowed_ips"] = [pick(NETWORKS, text) for text in token["allowed_ips"]]
    if is_list_of_texts(token.get("allowed_referers"), 100):
        referers = token["allowed_referers"]
        if all(URL.match(text) and len(text) <= 1024 for text in referers):
            token["allowed_referers"] = [pick(REFERERS, text) for text in referers]
    if is_list_of_texts(token.get("tags"), 10):
        tags = token["tags"]
        if all(0 < len(tag) <= 128 for tag in tags):
            token["tags"] = [cut(tag, 128) for tag in tags]
    metadata = token.get("metadata")
    if isinstance(metadata, dict) and all(
        isinstance(value, str) and len(value) <= 2048 for value in metadata.values()
    ):
        token["metadata"] = {
            name.encode("utf-8", "ignore")[:100].decode("utf-8", "ignore"): cut(value, 100)
            for name, value in list(metadata.items())[:10]
        }


def mend_query(query, method):
    query.pop("cursor", None)
    since = query.get("since")
    if str(since).isdecimal() and int(since) < 2**63:
        query["since"] = min(int(since), NOW)
    if method != "DELETE":
        if query.get("prefix"):
            query["bucket"] = "local"
        return
    if "all" in query:
        query.pop("prefix", None)
        query.pop("tag", None)
        query["bucket"] = "other"
    elif "prefix" in query:
        query["bucket"] = "other"
    else:
        query.setdefault("tag", "schemathesis")


# Made by scripts/schemathesis, so that more than 404 is seen; by the methods that they allow.
TOKENS = {"PUT": "schemathesis-put", "GET": "schemathesis-get", "HEAD": "schemathesis-head"}


def is_stateful(case):
    """Tokens of such a run are its own, and stay until it revokes them."""
    return case.meta is not None and case.meta.phase.name == TestPhase.STATEFUL


def mend_path(case):
    token = (case.path_parameters or {}).get("token")
    if case.method != "DELETE" and is_text(token) and len(token) % 2 == 0:
        token = TOKENS.get(case.method, "schemathesis-put")
        case.path_parameters = {**case.path_parameters, "token": token}


@schemathesis.hook
def map_case(context, case):
    if not is_stateful(case):
        mend_path(case)
    bucket = "local" if is_stateful(case) else "other"
    if isinstance(case.body, dict):
        mend_token(case.body, bucket)
        tokens = case.body.get("tokens")
        for token in tokens if isinstance(tokens, list) else []:
            if isinstance(token, dict):
                mend_token(token, bucket)
    is_right = case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE
    if is_right and case.operation.path in ("/tokens", "/callbacks", "/callbacks/replay"):
        if case.query is not None or case.method == "DELETE":
            case.query = dict(case.query or {})
            mend_query(case.query, case.method)
    return case
