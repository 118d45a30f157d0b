"""What every app does the same way: public ids, errors, JSON, pages, rate limits, database rules.

The lowest package: it knows no app, and each app may import it. A thing belongs here only when at least two
apps need it and it has nothing to do with money or with a product.
"""
