-- What the triggers of certifications_certification do after an insert, an update and a delete: write a row of its history.
-- django-pghistory has compiled it from the models; the migration puts each paragraph on one line again.

WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value )
INSERT INTO "certifications_certificationevent"
    ("created_at", "expires_on", "id", "issued_on", "mentor_id", "number", "pgh_context_id", "pgh_created_at",
    "pgh_label", "pgh_obj_id", "revoked_at", "revoked_reason", "type_id")
SELECT
    new_values."created_at", new_values."expires_on", new_values."id", new_values."issued_on",
    new_values."mentor_id", new_values."number", _pgh_attached_context.value, NOW(),
    'insert', new_values."id", new_values."revoked_at", new_values."revoked_reason", new_values."type_id"
FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context;
RETURN NULL;

INSERT INTO "certifications_certificationevent"
    ("created_at", "expires_on", "id", "issued_on", "mentor_id", "number", "pgh_context_id", "pgh_created_at",
    "pgh_label", "pgh_obj_id", "revoked_at", "revoked_reason", "type_id")
VALUES
    (NEW."created_at", NEW."expires_on", NEW."id", NEW."issued_on", NEW."mentor_id", NEW."number",
    _pgh_attach_context(), NOW(), 'update', NEW."id", NEW."revoked_at", NEW."revoked_reason", NEW."type_id");
RETURN NULL;

WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value )
INSERT INTO "certifications_certificationevent"
    ("created_at", "expires_on", "id", "issued_on", "mentor_id", "number", "pgh_context_id", "pgh_created_at",
    "pgh_label", "pgh_obj_id", "revoked_at", "revoked_reason", "type_id")
SELECT
    old_values."created_at", old_values."expires_on", old_values."id", old_values."issued_on",
    old_values."mentor_id", old_values."number", _pgh_attached_context.value, NOW(),
    'delete', old_values."id", old_values."revoked_at", old_values."revoked_reason", old_values."type_id"
FROM ( SELECT old_values.* FROM old_values  ) AS old_values, _pgh_attached_context;
RETURN NULL;
