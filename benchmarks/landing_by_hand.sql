-- The shortest way to land one file of marks in DuckDB: the columns that `raw/attendance_event` has, and nothing else.
-- Every row is taken as it is. Nothing is trimmed, judged, counted or kept; a bad row stops it.
create temp table mark as from read_csv(getvariable('csv'), all_varchar = true);
create temp table student as select id, pseudonym(id) as student_key from (select distinct stu_id as id from mark);
copy (
    select
        student_key,
        sch_cd as school_id,
        att_date as date,
        att_code as category,
        null::varchar as calendar_id,
        null::varchar as period,
        null::varchar as fraction_absent,
        'attendance' as source_id,
        'district' as student_system,
        getvariable('file_id') as file_id,
        mark.rowid + 2 as line
    from mark
    join student on stu_id = id
) to (getvariable('target')) (format parquet, compression zstd);
