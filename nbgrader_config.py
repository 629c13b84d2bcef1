"""Stock nbgrader on this course: run `nbgrader autograde 01_autoencoders` and the like in this folder.

Release with `course release`, not with `nbgrader generate_assignment`: the source is a py:percent file, which only the
former reads. It fills class/gradebook.db, so that everything after the release is plain nbgrader.
"""

c = get_config()  # noqa: F821 - nbgrader defines it

c.CourseDirectory.course_id = "few-labels"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.submitted_directory = "class/submitted"
c.CourseDirectory.autograded_directory = "class/autograded"
c.CourseDirectory.feedback_directory = "class/feedback"
c.CourseDirectory.db_url = "sqlite:///class/gradebook.db"
# nbgrader copies whatever lies beside a notebook; the sources hold the answers and must not travel with it.
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "*.py", "*.md"]

# How many seconds a cell may take when a submission is graded. Grade with COURSE_PROFILE=smoke: exercises take what
# they need as arguments, so a training run that is cut short costs no student a point.
c.Execute.timeout = 300
c.Execute.interrupt_on_timeout = True

# Grades stay with the class's other files, out of git.
c.ExportPlugin.to = "class/grades.csv"
