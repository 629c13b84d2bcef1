"""Grading a class: students' code runs inside a sandbox, and what it is worth is decided outside.

The words of the house, from the inside out:

observer            a process that runs a student's answers on hidden cases and sends back raw values
session             one start of a submission: a process runs its cells, then observers are forked from that
keeper              process 1 of a session; ends everything of the session when the outside hangs up
unit                a process in which the setup cells of a released notebook have run; sessions are forked from it
zygote              an isolated process with all libraries loaded; units are forked from it
loader              the process that loads them, not isolated; zygotes are forked from it
stage               the folder with the copy of course_lib that these processes see: nothing in it knows an answer
frame               a message as it arrived, not read yet: length-capped JSON and raw bytes, never pickle
judge's process     a fork of a worker that decides what answers are worth; it has limits of time and memory
exercise under test an exercise with its hidden cases, and what the judge's own functions give on them
key                 the hash of everything that a result was computed from; a result is good for its key alone
"""
