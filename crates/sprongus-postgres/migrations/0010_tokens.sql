-- Tokens that steps gave to models and got back. A process of the version before writes none of them, and goes on as it was.
ALTER TABLE run_minutes ADD COLUMN tokens_in bigint NOT NULL DEFAULT 0;
ALTER TABLE run_minutes ADD COLUMN tokens_out bigint NOT NULL DEFAULT 0;
ALTER TABLE run_totals ADD COLUMN tokens_in bigint NOT NULL DEFAULT 0;
ALTER TABLE run_totals ADD COLUMN tokens_out bigint NOT NULL DEFAULT 0;
