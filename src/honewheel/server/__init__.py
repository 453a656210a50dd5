"""The service: feedback API, OpenAI-compatible gateway, registry verbs. Start at `app.py`.

Everything heavy is imported inside functions; the extra is `server`.
"""
