"""What becomes of a request over an endpoint limit: an answer that tells the wait, and a hit in the books.

It is a hit and never a strike: these limits are an address's, which others may share, and guard no quota.
"""
