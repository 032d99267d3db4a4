import pytest

from mtspam.errors import ConfigError
from mtspam.serve.authentication import Sender
from mtspam.serve.lists import Listing, SenderLists

BOB = "bob@shop.example"


def sender(address=BOB, *others, is_proven=True):
    return Sender(address, (address, *others), is_proven=is_proven)


@pytest.mark.parametrize("entry", [BOB, "Bob@Shop.Example", "@shop.example", " @SHOP.example "])
def test_who_is_allowed_must_be_proven(entry):
    lists = SenderLists.of(allow=[entry])
    assert lists.listing(sender()) is Listing.ALLOWED
    assert lists.listing(sender(is_proven=False)) is Listing.UNPROVEN
    assert lists.listing(sender("eve@other.example")) is None


@pytest.mark.parametrize("entry", [BOB, "@shop.example"])
def test_who_is_denied_need_not_be_proven(entry):
    lists = SenderLists.of(deny=[entry])
    assert lists.listing(sender(is_proven=False)) is Listing.DENIED
    assert lists.listing(sender("eve@other.example", BOB)) is Listing.DENIED


def test_the_envelope_sender_alone_is_not_allowed():
    lists = SenderLists.of(allow=[BOB])
    assert lists.listing(sender("eve@other.example", BOB)) is None
    assert lists.listing(Sender("", (BOB,), is_proven=False)) is None


def test_an_address_counts_before_a_domain():
    lists = SenderLists.of(allow=[BOB], deny=["@shop.example"])
    assert lists.listing(sender()) is Listing.ALLOWED
    assert lists.listing(sender("eve@shop.example")) is Listing.DENIED
    turned = SenderLists.of(allow=["@shop.example"], deny=[BOB])
    assert turned.listing(sender()) is Listing.DENIED
    assert turned.listing(sender("eve@shop.example")) is Listing.ALLOWED


def test_of_equals_the_denial_counts():
    assert SenderLists.of(allow=[BOB], deny=[BOB]).listing(sender()) is Listing.DENIED


def test_a_domain_is_no_other_domain():
    lists = SenderLists.of(allow=["@example"], deny=["@hop.example"])
    assert lists.listing(sender()) is None


@pytest.mark.parametrize("entry", ["bob", "", "@", "bob@", "a b@x", "<a@x>", "a@b@x", "*@x"])
def test_what_is_no_entry(entry):
    with pytest.raises(ConfigError, match="neither an address nor a domain"):
        SenderLists.of(deny=[entry])


def test_empty_lists_are_false():
    assert not SenderLists()
    assert SenderLists.of(deny=[BOB])
