-- Tokens of our own begin with spr_; the rule that keeps them out of inputs looked for another beginning.
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('secret_rule'::regproc), '(sprg_[A-Za-z0-9_-]{16,})', '(spr_[0-9a-f]{32,})');
END $$;
