"""Service account tokens of the edge's pods: asked for, kept, renewed.

errors.py           TokenUnavailable
token_manager.py    ServiceTokens: every token that a pod wants, also while the cloud is away
token_answer.py     what the provider says to a want, pure
renewal_times.py    when a token is renewed, and when one is asked for again, pure
"""
