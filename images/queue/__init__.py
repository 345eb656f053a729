"""The queue of jobs: accepting, picking fairly, waking workers, telling of ends, recovering."""
