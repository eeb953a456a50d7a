-- From here on functions are in `functions/`, each whole, and made anew behind the newest migration. One that changes them names the
-- checksum of those files in a line like the next.
-- functions: aef632a44adc617693cb13b1b5fef8930b0a1ecbc6c170c93f5a0c3cbda038ec

-- What belongs to a run is in the run's workspace. The keys to `runs` do not say so, and one that did would need another index of all
-- runs (docs/decisions/0020-the-workspace-of-what-a-run-has.md).
CREATE POLICY of_own_run ON run_steps AS RESTRICTIVE USING (true) WITH CHECK (EXISTS (SELECT FROM runs r WHERE r.id = run_id));
CREATE POLICY of_own_run ON run_logs AS RESTRICTIVE USING (true) WITH CHECK (EXISTS (SELECT FROM runs r WHERE r.id = run_id));
CREATE POLICY of_own_run ON run_artifacts AS RESTRICTIVE USING (true) WITH CHECK (EXISTS (SELECT FROM runs r WHERE r.id = run_id));
