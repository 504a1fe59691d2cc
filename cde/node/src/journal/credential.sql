-- By which credential of its gateway an attempt was sent, a digest that tells two apart: another account that does not know the
-- attempt proves nothing.
ALTER TABLE attempt ADD COLUMN credential TEXT;
