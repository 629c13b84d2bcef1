"""`course serve`: a place where a class hands in, over the web. Needs the extra `serve`.

A student opens a personal link, uploads a notebook, and reads the feedback. The files lie in class/ as `course collect`
puts them there, so all other commands work beside the server.

    command.py        the command and its parts
    classroom.py      a class: its folder, units, students and dates
    database.py       the tables, and what goes wrong with a data base, in words
    roster.py         students, and the links that let them in
    handing_in.py     an upload becomes an attempt
    queue.py          which attempt is graded next, and what became of it
    worker.py         a process that grades attempts, in the sandbox of `course grade`
    keeper.py         starts the workers, and puts back what a dead one left
    recording.py      results go to class/results and into the gradebook
    feedback_page.py  a result as its student may see it
    app.py            the web application: its addresses and its errors
    protection.py     links, cookies, headers and limits
    students_pages.py, instructors_pages.py, drawing.py, templates/
    taking_out.py     everything as a zip
"""
