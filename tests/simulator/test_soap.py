# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""The SOAP layer: both forms of the answers, order of the parts, faults."""

import re

import pytest
from lxml import etree

from .client import flat, inner, request, soap_body

SERVICES = [
    ("CrSeed.jws", "getSeed"),
    ("GetTokenFromSeed.jws", "getToken"),
    ("QueryEstUp.jws", "getEstUp"),
    ("QueryEstDte.jws", "getEstDte"),
    ("services/QueryEstDteAv", "getEstDteAv"),
    ("services/wsDTECorreo", "reenvioCorreo"),
]


def post(world, path, body):
    return request(f"{world.sii.url}/DTEWS/{path}", "POST", body, {"Content-Type": "text/xml"})


def test_form_a_has_no_prefix(world):
    reply = post(world, "CrSeed.jws", soap_body("getSeed", {}))
    assert "<getSeedResponse " in reply.text
    assert "<getSeedReturn xsi:type=" in reply.text
    assert "&lt;?xml version=&quot;1.0&quot;" in reply.text


def test_form_b_has_the_namespace_of_the_call(world):
    world.control.ok("settings", soap_form="B")
    reply = post(world, "CrSeed.jws", soap_body("getSeed", {}, namespace="urn:other"))
    assert '<ns1:getSeedResponse xmlns:ns1="urn:other">' in reply.text
    assert len(flat(inner(reply))["SEMILLA"]) == 12


@pytest.mark.parametrize(("first", "expected"), [(True, ["RESP_BODY", "RESP_HDR"]), (False, ["RESP_HDR", "RESP_BODY"])])
def test_order_of_body_and_header(world, first, expected):
    world.control.ok("settings", body_first=first)
    root = inner(post(world, "CrSeed.jws", soap_body("getSeed", {})))
    assert [etree.QName(child).localname for child in root] == expected


def test_carriage_returns_are_escaped(logged):
    reply, _root = logged.sii.call(
        "QueryEstUp.jws",
        "getEstUp",
        {"RutCompania": "1", "DvCompania": "9", "TrackId": "1", "Token": logged.sii.token},
    )
    assert "&#xd;" in reply.text


@pytest.mark.parametrize(
    ("form", "pattern"),
    [("dated", r"\d+   \( \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\)"), ("bare", r"\d+"), ("outside", r"\d+")],
)
def test_forms_of_num_atencion(logged, form, pattern):
    logged.control.ok("settings", num_atencion=form)
    _reply, root = logged.sii.call(
        "QueryEstUp.jws",
        "getEstUp",
        {
            "RutCompania": logged.issuer[:-2],
            "DvCompania": logged.issuer[-1],
            "TrackId": "1",
            "Token": logged.sii.token,
        },
    )
    number = root.find(".//NUM_ATENCION")
    assert re.fullmatch(pattern, number.text)
    assert (number.getparent() is root) == (form == "outside")


@pytest.mark.parametrize(("path", "operation"), SERVICES)
def test_a_wrong_number_of_parts_is_a_fault(world, path, operation):
    reply = post(world, path, soap_body(operation, {"One": 1, "Two": 2}))
    assert reply.status == 500
    assert f"No such operation '{operation}'" in reply.text
    assert "soapenv:Fault" in reply.text


def test_an_unknown_operation_is_a_fault(world):
    assert post(world, "CrSeed.jws", soap_body("getSemilla", {})).status == 500


def test_parts_in_another_order_are_a_fault(world):
    parts = {"Token": "t", "TrackId": 1, "DvCompania": 3, "RutCompania": 76543210}
    assert post(world, "QueryEstUp.jws", soap_body("getEstUp", parts)).status == 500


def test_xsi_type_without_its_namespace_is_a_fault(world):
    body = soap_body("getToken", {"pszXml": "x"})
    reply = post(world, "GetTokenFromSeed.jws", body.replace("<pszXml>", '<pszXml xsi:type="xsd:string">'))
    assert reply.status == 500
    assert "SAXParseException" in reply.text
    declared = body.replace("<pszXml>", '<pszXml xmlns:xsi="urn:x" xsi:type="xsd:string">')
    assert post(world, "GetTokenFromSeed.jws", declared).status == 200


def test_a_doctype_is_a_fault(world):
    body = soap_body("getSeed", {}).replace("?>", '?><!DOCTYPE a [<!ENTITY b "c">]>')
    assert post(world, "CrSeed.jws", body).status == 500


@pytest.mark.parametrize(("path", "operation"), SERVICES)
def test_every_service_has_a_wsdl(world, path, operation):
    reply = request(f"{world.sii.url}/DTEWS/{path}?WSDL")
    root = etree.fromstring(reply.body)
    names = {element.get("name") for element in root.iter("{http://schemas.xmlsoap.org/wsdl/}operation")}
    assert {operation, "getVersion", "getState"} <= names


def test_versions_answer(world):
    assert flat(inner(post(world, "QueryEstUp.jws", soap_body("getVersion", {}))))["ESTADO"] == "0"


def test_other_paths_are_not_found(world):
    assert request(f"{world.sii.url}/DTEWS/CrFolio.jws", "POST", "x").status == 404
    assert request(f"{world.sii.url}/").status == 404


def test_tls_answers_like_plain_http(world):
    urls = world.server.urls
    body = soap_body("getSeed", {})
    reply = request(f"{urls['tls_url']}/DTEWS/CrSeed.jws", "POST", body, ca=urls["tls_ca"])
    assert len(flat(inner(reply))["SEMILLA"]) == 12
