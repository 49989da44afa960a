-- Who may do what to a project, as its configuration says it: `*` is everybody who may come in.
CREATE TABLE project_people (
    project_id BIGINT NOT NULL REFERENCES projects (id),
    person TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (project_id, person)
);
CREATE INDEX projects_of_people ON project_people (person);
