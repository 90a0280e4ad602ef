-- Times are milliseconds since 1970 by the service's clock.
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY,
    customer_id TEXT NOT NULL,
    wood_type TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    ordered_at TEXT NOT NULL,
    -- The trace that it came with, as W3C writes it.
    traceparent TEXT,
    status TEXT NOT NULL CHECK (status IN ('registered', 'processing', 'processed', 'failed')),
    -- How often the order was claimed; tells one claim of it from the next.
    attempts BIGINT NOT NULL DEFAULT 0,
    -- Who has claimed it until when; neither where it was put to processing without a claim.
    worker TEXT,
    lease_until BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- Pages of a status, and the next orders to claim.
CREATE INDEX orders_by_status ON orders (status, order_id);

-- Leases that are over. With the status in it, or a planner without statistics reads all that is in work by the index above.
CREATE INDEX orders_by_lease ON orders (status, lease_until) WHERE lease_until IS NOT NULL;
