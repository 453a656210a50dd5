"""Requirements in, test cases out, and what people say of the cases back as feedback.

`requirements` reads the file, `problems` states what a model (or the oracle) is asked, `cases`
turns its answers into test cases, `formats` writes them, `review` reads what people changed.
Pure but for the files: no store, no model.
"""
