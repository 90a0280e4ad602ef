"""What schemathesis cannot read in the documents."""

import itertools

import schemathesis

KEY = "Idempotency-Key"
bodies = {}
fresh = (f"key-{number}" for number in itertools.count())


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives each decrease a key of its own: one that was used for another is refused with 422, and rightly so."""
    key = (case.headers or {}).get(KEY)
    if key is None or case.path != "/stocks/decrease":
        return
    # As the API reads them: a number as text, without the blanks around it, and the body as it is now.
    key, body = str(key).strip(), repr(case.body)
    if bodies.setdefault(key, body) != body:
        case.headers[KEY] = next(fresh)
