-- What came once is known also when the run of it is forgotten.
CREATE TABLE known_deliveries (
    digest TEXT PRIMARY KEY,
    run_id BIGINT NOT NULL
);
INSERT INTO known_deliveries (digest, run_id) SELECT digest, run_id FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE known_deliveries RENAME TO deliveries;
