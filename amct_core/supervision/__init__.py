"""Commands that run a framework do so in a process of their own, which the framework may end."""
