-- A webhook names an attempt by the gateway's own name for it.
CREATE INDEX attempt_by_locator ON attempt (gateway, locator) WHERE locator IS NOT NULL;
