-- Times are milliseconds since 1970 by the service's clock.
CREATE TABLE stocks (
    wood_type TEXT PRIMARY KEY,
    quantity BIGINT NOT NULL CHECK (quantity >= 0),
    updated_at BIGINT NOT NULL
);

-- What was added, so that a delivery that is told again adds nothing.
CREATE TABLE deliveries (
    delivery_id TEXT PRIMARY KEY,
    supplier_id TEXT NOT NULL,
    wood_type TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    delivered_at TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- What was taken, so that a decrease that is asked for again takes nothing; nothing yet where it was only cancelled.
CREATE TABLE decreases (
    idempotency_key TEXT PRIMARY KEY,
    wood_type TEXT,
    quantity BIGINT CHECK (quantity > 0),
    -- What was left of it then: the answer to a repetition.
    remaining BIGINT,
    -- The last claim of the order that cancelled it: what that one or an earlier one asks for is refused.
    cancelled_by BIGINT,
    created_at BIGINT NOT NULL
);
