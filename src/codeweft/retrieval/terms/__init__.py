"""What Korean, Japanese and Chinese words are called in code.

Tables (`ko.tsv`, `ja.tsv`, `zh.tsv`) give English terms by word; `sound` reads English words that are written by
their sound; `translate` applies both to what a person asks.
"""
