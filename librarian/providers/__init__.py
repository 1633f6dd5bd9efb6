"""Who answers the librarian's requests. Each provider answers in `xml_attrless`."""

PROVIDER_KINDS = ("offline",)
