"""What the Caffe that is installed can do: one question per probe, one process per question.

No version number tells: forks of every age carry the number 1.0.0.  So each thing is tried, in a
process of its own, because a failed CHECK in Caffe ends the process.
"""
