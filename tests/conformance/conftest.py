"""A failed assertion of a property tells its values, as one in a test does."""

import pytest

pytest.register_assert_rewrite("tests.conformance.properties")
