-- What the triggers of mentors_mentor do after an insert, an update and a delete: write a row of its history.
-- django-pghistory has compiled it from the models; the migration puts each paragraph on one line again.

WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value )
INSERT INTO "mentors_mentorevent"
    ("chapter_id", "created_at", "email", "id", "language", "listed", "name", "organisation_id", "pause_cause",
    "pause_reason", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "ref", "searchable", "status")
SELECT
    new_values."chapter_id", new_values."created_at", new_values."email", new_values."id", new_values."language",
    new_values."listed", new_values."name", new_values."organisation_id", new_values."pause_cause",
    new_values."pause_reason", NOW(), 'insert', new_values."id", new_values."phone", new_values."ref",
    new_values."searchable", new_values."status"
FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context;
RETURN NULL;

INSERT INTO "mentors_mentorevent"
    ("chapter_id", "created_at", "email", "id", "language", "listed", "name", "organisation_id", "pause_cause",
    "pause_reason", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "ref", "searchable", "status")
VALUES
    (NEW."chapter_id", NEW."created_at", NEW."email", NEW."id", NEW."language", NEW."listed", NEW."name",
    NEW."organisation_id", NEW."pause_cause", NEW."pause_reason", NOW(), 'update', NEW."id", NEW."phone", NEW."ref",
    NEW."searchable", NEW."status");
RETURN NULL;

WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value )
INSERT INTO "mentors_mentorevent"
    ("chapter_id", "created_at", "email", "id", "language", "listed", "name", "organisation_id", "pause_cause",
    "pause_reason", "pgh_created_at", "pgh_label", "pgh_obj_id", "phone", "ref", "searchable", "status")
SELECT
    old_values."chapter_id", old_values."created_at", old_values."email", old_values."id", old_values."language",
    old_values."listed", old_values."name", old_values."organisation_id", old_values."pause_cause",
    old_values."pause_reason", NOW(), 'delete', old_values."id", old_values."phone", old_values."ref",
    old_values."searchable", old_values."status"
FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context;
RETURN NULL;
