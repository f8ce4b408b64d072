-- A Device can be a patient's (an implant): it is a record of the organisation that wrote it, and in no directory. Those of before get
-- their owner by the audit; where it has forgotten, nobody but the super-user sees them.

UPDATE version SET org = coalesce(
    (SELECT a.org FROM audit a WHERE a.first_pk <= version.pk AND a.last_pk >= version.pk AND a.org <> 0 ORDER BY a.pk LIMIT 1), -1)
WHERE rtype = 34 AND org = 0; -- 34: Device
