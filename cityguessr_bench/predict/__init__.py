"""Where was this video filmed? A run's model on video files and links that no data set holds.

    sources.py  link or path -> a file on the local disk
    clips.py    file -> clips by the data set's rule -> the frames that the run's model takes
    guesses.py  what the model says of the clips -> one ranking a level, with probabilities
    answer.py   all of it, video after video; one that fails loses none of the others
    as_json.py, page.py   the answer for machines, and as a page

Frames are looked at and forgotten: none is written, in no format, so no face can leave with the answer.
"""
