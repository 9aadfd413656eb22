"""Everything that is refused before training, as two lists.

:data:`amct_caffe.checks.network.CHECKS` holds what the network, its weights and the config alone
show; it runs before a config is made and before insertion.
:data:`amct_caffe.checks.training.CHECKS` holds what shows only on the machine that trains; it runs
before training, and in ``amct qat run`` before anything is written.

A check is a function without side effects that yields what stands against going on.  It is added
to one of the lists, to the table in docs/user-guide.md, and to the tests of its list, which fail
for a check without a test.
"""
