# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The WSDL of each service (`?WSDL`), derived from the table of its operations."""

from xml.sax.saxutils import quoteattr

from .answers import XML, Answer
from .soap import SERVICES, VERSIONS

HEADER = """\
<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions targetNamespace={url} xmlns:impl={url}
  xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:wsdlsoap="http://schemas.xmlsoap.org/wsdl/soap/"
  xmlns:xsd="http://www.w3.org/2001/XMLSchema">
"""


def document(path, url):
    """The WSDL of the service at `path`, reachable at `url`."""
    address = quoteattr(url)
    name = path.rpartition("/")[2].removesuffix(".jws")
    operations = {**SERVICES[path][1], **VERSIONS}
    text = (
        HEADER.format(url=address)
        + "".join(_messages(operation, parts) for operation, parts in operations.items())
        + f'<wsdl:portType name="{name}">\n'
        + "".join(_port(operation, parts) for operation, parts in operations.items())
        + f'</wsdl:portType>\n<wsdl:binding name="{name}SoapBinding" type="impl:{name}">\n'
        + '<wsdlsoap:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>\n'
        + "".join(_binding(operation, address) for operation in operations)
        + f'</wsdl:binding>\n<wsdl:service name="{name}Service">\n'
        + f'<wsdl:port binding="impl:{name}SoapBinding" name="{name}">'
        + f"<wsdlsoap:address location={address}/></wsdl:port></wsdl:service>\n</wsdl:definitions>\n"
    )
    return Answer(text.encode(), XML)


def _messages(operation, parts):
    inputs = "".join(f'<wsdl:part name="{part}" type="xsd:string"/>' for part in parts)
    return (
        f'<wsdl:message name="{operation}Request">{inputs}</wsdl:message>\n'
        f'<wsdl:message name="{operation}Response">'
        f'<wsdl:part name="{operation}Return" type="xsd:string"/></wsdl:message>\n'
    )


def _port(operation, parts):
    order = f' parameterOrder="{" ".join(parts)}"' if parts else ""
    return (
        f'<wsdl:operation name="{operation}"{order}>'
        f'<wsdl:input message="impl:{operation}Request" name="{operation}Request"/>'
        f'<wsdl:output message="impl:{operation}Response" name="{operation}Response"/></wsdl:operation>\n'
    )


def _binding(operation, address):
    body = f'<wsdlsoap:body use="literal" namespace={address}/>'
    return (
        f'<wsdl:operation name="{operation}"><wsdlsoap:operation soapAction=""/>'
        f'<wsdl:input name="{operation}Request">{body}</wsdl:input>'
        f'<wsdl:output name="{operation}Response">{body}</wsdl:output></wsdl:operation>\n'
    )
