-- Days are added up over the year whatever the student's status was; the status is that of the last recorded day.
{{ chronic_absence("school_id") }}
