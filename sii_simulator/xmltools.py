# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Reading XML safely, and parts of its canonical form (C14N 1.0, inclusive, without comments)."""

import re

from lxml import etree

APEX = re.compile(rb'<([^\s/>]+)((?:\s+[^\s=]+="[^"]*")*)>')
NAMESPACE = re.compile(rb'\s+xmlns(?::[^\s=]+)?="[^"]*"')


class BadXml(Exception):
    """The bytes are not XML, or carry what this server refuses to read; the message is the parser's."""


def parse(data, encoding=None):
    """Root element of `data`. No DTD, no entities, no network. Raises BadXml."""
    options = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": True}
    if b"<!DOCTYPE" in data:
        raise BadXml("DOCTYPE is not allowed")
    try:
        root = etree.fromstring(data, etree.XMLParser(encoding=encoding, **options))
    except etree.XMLSyntaxError as error:
        raise BadXml(str(error)) from error
    if root.getroottree().docinfo.doctype:
        raise BadXml("DOCTYPE is not allowed")
    return root


def subtree(document, element, without=()):
    """Canonical bytes of `element`, as apex, given the canonical bytes of the whole document it is in.

    The last element of that name in the document is taken. The apex carries the namespaces in scope, except
    those whose prefix is in `without` (None is the default namespace).
    """
    name = element.tag.rpartition("}")[2].encode()
    start = (
        document.rindex(b"<" + name + b" ") if b"<" + name + b" " in document else document.rindex(b"<" + name + b">")
    )
    end = document.index(b"</" + name + b">", start) + len(name) + 3
    match = APEX.match(document, start)
    scope = sorted((prefix or "", uri) for prefix, uri in element.nsmap.items() if prefix not in without)
    declarations = "".join(f' xmlns{":" if prefix else ""}{prefix}="{uri}"' for prefix, uri in scope)
    attributes = NAMESPACE.sub(b"", match[2])
    return b"<" + name + declarations.encode() + attributes + document[match.end() - 1 : end]


def local_name(element):
    return element.tag.rpartition("}")[2]


def forget_namespaces(root):
    """Reduces every tag to its local name, so that paths can be written without namespaces."""
    for element in root.iter(etree.Element):
        element.tag = local_name(element)
    return root


def text(root, path):
    """Stripped text at `path`, or an empty string."""
    return (root.findtext(path) or "").strip()
