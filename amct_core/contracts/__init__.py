"""What plugins promise, checked where they are used: one module per kind of extension.

Whoever calls an extension calls it through here.  A result that breaks the contract, and an error
inside the plugin, become one :class:`~amct_core.errors.PluginError` that names plugin, extension
and layer and says what was expected.  An error inside the plugin is its ``__cause__``.

Checks that cost a microsecond are made at each call; those that look at whole arrays are made where
a layer uses an extension first in a process.  Built-in extensions are checked like all others.
"""
