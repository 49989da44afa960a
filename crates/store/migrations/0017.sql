-- Jobs of runs that are at another agent than their run, or are to be: `root` is the job whose lease they are under, `needs` what that needs of an
-- agent, in JSON; no agent: it waits for one. It is over when its sandbox is gone, or was never there. What a run had there is gone with the run, or with the run's own agent.
CREATE TABLE elsewhere (
    run_id BIGINT NOT NULL REFERENCES runs (id),
    job BIGINT NOT NULL,
    root BIGINT NOT NULL,
    needs TEXT NOT NULL,
    agent_id BIGINT,
    is_lost BIGINT NOT NULL,
    is_over BIGINT NOT NULL,
    reported BIGINT NOT NULL,
    PRIMARY KEY (run_id, job)
);
