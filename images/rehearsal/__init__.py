"""What a rehearsal key meets: any refusal on demand, and else the success of a job that nobody does.

Nothing of it is written down: what has to be remembered of a job is in its id.
"""
