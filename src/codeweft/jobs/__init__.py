"""Background work with progress, in this process."""

from codeweft.jobs.jobs import Job, Jobs, Progress, Report

__all__ = ["Job", "Jobs", "Progress", "Report"]
