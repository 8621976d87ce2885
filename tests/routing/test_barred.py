"""What is said of names that may not be followed."""

from __future__ import annotations

import pytest

from ccrouter.routing.barred import default_not_set_up, not_lent, not_set_up, switched_off


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (not_lent("azure:x", "azure"), "add [providers.azure]"),
        (switched_off("azure:x", "azure"), "`ccrouter use` shows it"),
        (not_set_up("azure:x", "azure"), "give it a base_url in [providers.azure]"),
        (default_not_set_up("azure:x", "azure:y", "azure"), "give it a base_url in [providers.azure]"),
    ],
)
def test_it_says_which_name_leads_to_whom_and_how_to_mend_it(error, cure):
    assert (error.status, error.kind) == (404, "not_found_error")
    assert error.message.startswith("'azure:x'")
    assert cure in error.message


def test_a_model_of_that_name_that_another_provider_has_can_still_be_meant():
    assert "PROVIDER:chat:7b" in not_set_up("chat:7b", "chat").message
    assert "PROVIDER" not in not_set_up("anthropic-via-azure:x", "azure").message
