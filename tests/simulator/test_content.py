# Part of l10n_cl_dte. License LGPL-3 or later (https://www.gnu.org/licenses/lgpl).
"""Content: wrong arithmetic is a repair, missing fields and bad references reject."""

from datetime import timedelta

import pytest

ONE_DAY = timedelta(days=1)
TEXT_LINE = ("Donde dice X debe decir Y", 0, 0, "", "<MontoItem>0</MontoItem>")


def totals(**values):
    return "".join(f"<{tag}>{value}</{tag}>" for tag, value in values.items())


def tax(code, rate, amount):
    return f"<ImptoReten><TipoImp>{code}</TipoImp><TasaImp>{rate}</TasaImp><MontoImp>{amount}</MontoImp></ImptoReten>"


def line(name, quantity, price, extra, exemption=""):
    return (name, quantity, price, exemption, extra)


def discount(value, kind="%", movement="D", exemption=""):
    exemption = f"<IndExeDR>{exemption}</IndExeDR>" if exemption else ""
    return (
        f"<DscRcgGlobal><NroLinDR>1</NroLinDR><TpoMov>{movement}</TpoMov><TpoValor>{kind}</TpoValor>"
        f"<ValorDR>{value}</ValorDR>{exemption}</DscRcgGlobal>"
    )


# Figures of real documents and of a set of the SII.
RIGHT = {
    "set case 1": {"lines": [("Cajón", 146, 2237, ""), ("Relleno", 62, 3695, "")]},
    "exempt item": {"lines": [("Pintura", 38, 4594, ""), ("Item", 193, 3422, ""), ("Servicio", 1, 35005, "1")]},
    "half up": {
        "lines": [("Uno", 1, 1350, "")],
        "totals": totals(MntNeto=1350, TasaIVA="19.00", IVA=257, MntTotal=1607),
    },
    "line discount": {
        "lines": [
            line(
                "Pañuelo",
                503,
                3947,
                "<DescuentoPct>7</DescuentoPct><DescuentoMonto>138974</DescuentoMonto><MontoItem>1846367</MontoItem>",
            )
        ],
        "totals": totals(MntNeto=1846367, TasaIVA=19, IVA=350810, MntTotal=2197177),
    },
    "global discount": {
        "lines": [("Uno", 1, 104090, "")],
        "tail": discount(10),
        "totals": totals(MntNeto=93681, TasaIVA=19, IVA=17799, MntTotal=111480),
    },
    "global discount beside exempt items": {
        "lines": [("item 1", 252, 3846, ""), ("item 2", 107, 4373, ""), ("exento", 2, 6801, "1")],
        "tail": discount(15),
        "totals": totals(MntNeto=1221538, MntExe=13602, TasaIVA=19, IVA=232092, MntTotal=1467232),
    },
    "surcharge in pesos": {
        "lines": [("Uno", 1, 1000, "")],
        "tail": discount(500, "$", "R"),
        "totals": totals(MntNeto=1500, TasaIVA=19, IVA=285, MntTotal=1785),
    },
    "flour": {
        "lines": [line("Harina", 1, 700000, "<CodImpAdic>19</CodImpAdic><MontoItem>700000</MontoItem>")],
        "totals": f"{totals(MntNeto=700000, TasaIVA=19, IVA=133000)}{tax(19, 12, 84000)}<MntTotal>917000</MntTotal>",
    },
    "gross lines": {
        "id_doc": "<MntBruto>1</MntBruto>",
        "lines": [("Uno", 1, 680, "")],
        "totals": totals(MntNeto=571, TasaIVA=19, IVA=109, MntTotal=680),
    },
    "not invoiced": {
        "lines": [("Uno", 1, 1000, ""), ("Dos", 1, 300, "2"), ("Tres", 1, 100, "6")],
        "totals": totals(MntNeto=1000, TasaIVA=19, IVA=190, MntTotal=1190, MontoNF=200, MontoPeriodo=1390),
    },
    "bottles": {
        "lines": [("Bebida", 1, 1000, ""), ("Envase", 1, 200, "3")],
        "totals": totals(MntNeto=1000, TasaIVA=19, IVA=190, GrntDep=200, MntTotal=1390),
    },
    "construction credit": {
        "lines": [("Obra", 1, 10000, "")],
        "totals": totals(MntNeto=10000, TasaIVA=19, IVA=1900, CredEC=1235, MntTotal=10665),
    },
    "fraction": {
        "lines": [line("Kilo", "0.333333", 1000, "<MontoItem>333</MontoItem>")],
        "totals": totals(MntNeto=333, TasaIVA=19, IVA=63, MntTotal=396),
    },
}


@pytest.mark.parametrize("case", RIGHT)
def test_right_amounts_are_accepted(world, case):
    assert world.judge(world.draft(33, **RIGHT[case])) == ("accepted", [])


def test_retentions_of_a_purchase_invoice(world):
    partial = world.draft(
        46,
        lines=[line("Trigo", 1, 10000, "<CodImpAdic>34</CodImpAdic><MontoItem>10000</MontoItem>")],
        totals=f"{totals(MntNeto=10000, TasaIVA=19, IVA=1900)}{tax(34, 4, 400)}{totals(IVANoRet=1500, MntTotal=11500)}",
    )
    whole = world.draft(
        46,
        lines=[line("Chatarra", 1, 10000, "<CodImpAdic>15</CodImpAdic><MontoItem>10000</MontoItem>")],
        totals=f"{totals(MntNeto=10000, TasaIVA=19, IVA=1900)}{tax(15, 19, 1900)}{totals(MntTotal=10000)}",
    )
    world.send(partial, whole)
    assert world.outcome(partial) == world.outcome(whole) == ("accepted", [])


WRONG = {
    "line": (
        {
            "lines": [line("Uno", 3, 1000, "<MontoItem>3001</MontoItem>")],
            "totals": totals(MntNeto=3001, TasaIVA=19, IVA=570, MntTotal=3571),
        },
        ["DET L[1]-2-200"],
    ),
    "neto": ({"totals": totals(MntNeto=3001, TasaIVA=19, IVA=570, MntTotal=3571)}, ["HED-2"]),
    "iva": ({"totals": totals(MntNeto=3000, TasaIVA=19, IVA=571, MntTotal=3571)}, ["HED-2"]),
    "rate": ({"totals": totals(MntNeto=3000, TasaIVA=18, IVA=540, MntTotal=3540)}, ["HED-2"]),
    "exempt": ({"totals": totals(MntNeto=3000, MntExe=5, TasaIVA=19, IVA=570, MntTotal=3575)}, ["HED-2-220"]),
    "total": ({"totals": totals(MntNeto=3000, TasaIVA=19, IVA=570, MntTotal=3571)}, ["HED-2-260"]),
    "only exempt items": (
        {"lines": [("Libro", 1, 500, "1")], "totals": totals(MntExe=500, MntTotal=500)},
        ["HED-1-232"],
    ),
    "tax not declared": (
        {"lines": [line("Harina", 1, 1000, "<CodImpAdic>19</CodImpAdic><MontoItem>1000</MontoItem>")]},
        ["HED-2"],
    ),
    "tax rate": (
        {
            "lines": [line("Harina", 1, 1000, "<CodImpAdic>19</CodImpAdic><MontoItem>1000</MontoItem>")],
            "totals": f"{totals(MntNeto=1000, TasaIVA=19, IVA=190)}{tax(19, 11, 110)}<MntTotal>1300</MntTotal>",
        },
        ["HED-2"],
    ),
    "tax without rate": (
        {
            "lines": [line("Harina", 1, 1000, "<CodImpAdic>19</CodImpAdic><MontoItem>1000</MontoItem>")],
            "totals": f"{totals(MntNeto=1000, TasaIVA=19, IVA=190)}<ImptoReten><TipoImp>19</TipoImp>"
            "<MontoImp>120</MontoImp></ImptoReten><MntTotal>1310</MntTotal>",
        },
        ["HED-2-300"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_amounts_are_objected(world, case):
    values, codes = WRONG[case]
    draft = world.draft(33, **values)
    assert world.judge(draft) == ("objected", codes)
    assert world.sii.est_dte(draft)["ESTADO"] == "DOK"


def test_a_total_retention_must_take_the_whole_iva(world):
    draft = world.draft(
        46,
        lines=[line("Oro", 1, 10000, "<CodImpAdic>15</CodImpAdic><MontoItem>10000</MontoItem>")],
        totals=totals(MntNeto=10000, TasaIVA=19, IVA=1900) + tax(15, 19, 1800) + totals(IVANoRet=100, MntTotal=10100),
    )
    assert world.judge(draft) == ("objected", ["HED-2-302"])


def test_a_late_document_is_objected_lightly(world):
    draft = world.draft(signed=world.now())
    data = world.envelope(draft)
    world.control.ok("clock", advance_seconds=4 * 86400)
    world.send_bytes(data)
    assert world.outcome(draft) == ("objected", ["DTE-1-650"])


def test_a_timbre_before_its_caf_or_after_the_upload(world):
    tomorrow = world.now().replace(hour=12) + ONE_DAY
    assert world.judge(world.draft(signed=tomorrow)) == ("objected", ["TED-1-647"])
    caf = world.caf(33, first=100001, last=100009, date=tomorrow.date().isoformat())
    assert world.judge(world.draft(folio=100001, date=tomorrow.date().isoformat()), caf=caf) == (
        "objected",
        ["TED-1-646"],
    )
    assert world.judge(world.draft(folio=100002, signed=tomorrow), caf=caf)[1] == ["TED-1-647", "HED-3-305"]


MISSING = [
    (33, "DirOrigen"),
    (33, "CmnaOrigen"),
    (33, "GiroRecep"),
    (34, "DirRecep"),
    (52, "CmnaRecep"),
    (52, "CmnaDest"),
    (52, "IndTraslado"),
]


@pytest.mark.parametrize(("kind", "tag"), MISSING)
def test_a_missing_field_rejects(world, kind, tag):
    draft = world.draft(kind, without=(tag,))
    assert world.judge(draft) == ("rejected", ["HED-3-211"])


def test_notes_need_no_address(world):
    factura = world.draft()
    note = world.note(61, factura, 1, without=("DirOrigen", "CmnaOrigen", "GiroRecep", "DirRecep", "CmnaRecep"))
    world.send(factura, note)
    assert world.outcome(note) == ("accepted", [])


def test_a_guia_without_quantity_is_rejected(world):
    draft = world.draft(
        52,
        lines=[line("Caja", 0, 1000, "<MontoItem>1000</MontoItem>")],
        totals=totals(MntNeto=1000, TasaIVA=19, IVA=190, MntTotal=1190),
    )
    assert world.judge(draft) == ("rejected", ["DETL-3-854"])


def test_an_internal_guia_needs_no_amounts(world):
    lines = [line("Caja", 78, 0, "<MontoItem>0</MontoItem>")]
    draft = world.draft(52, lines=lines, totals=totals(MntTotal=0))
    assert world.judge(draft, change=lambda text: text.replace("<IndTraslado>1", "<IndTraslado>5")) == ("accepted", [])


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (34, {"totals": totals(MntNeto=3000, MntExe=3000, MntTotal=3000)}),
        (52, {"tail": discount(10)}),
        (33, {"id_doc": "<IndNoRebaja>1</IndNoRebaja>"}),
    ],
)
def test_a_field_that_does_not_belong_rejects(world, kind, values):
    state, codes = world.judge(world.draft(kind, **values))
    assert (state, codes[0]) == ("rejected", "HED-3-211")


def test_an_activity_that_is_not_registered_rejects(world):
    assert world.judge(world.draft(acteco="111111")) == ("rejected", ["HED-3-861"])
    world.register(acteco=[])
    assert world.judge(world.draft(acteco="111111")) == ("accepted", [])


def test_a_receiver_with_a_wrong_digit_rejects(world):
    assert world.judge(world.draft(receiver="96790240-4")) == ("rejected", ["HED-3"])


# References


def accepted(world, kind=33, **values):
    draft = world.draft(kind, **values)
    assert world.judge(draft) == ("accepted", [])
    return draft


def test_a_note_needs_a_reference(world):
    assert world.judge(world.draft(61)) == ("rejected", ["REF-3-415"])
    only_set = [("SET", 1, "2026-11-01", "", "CASO 1-1")]
    assert world.judge(world.draft(61, references=only_set)) == ("rejected", ["REF-3-415"])


def test_a_note_about_a_guia_is_rejected(world):
    guia = accepted(world, 52)
    assert world.judge(world.note(61, guia, 1)) == ("rejected", ["REF-3-415"])


def test_a_note_needs_a_code(world):
    factura = accepted(world)
    assert world.judge(world.note(61, factura, "")) == ("rejected", ["REF L[1] -3-758"])


def test_a_note_about_something_not_received_is_rejected(world):
    assert world.judge(world.note(61, world.draft(), 1)) == ("rejected", ["REF-3-750"])


def test_a_note_about_a_rejected_document_is_rejected(world):
    factura = world.draft()
    assert world.judge(factura, stamp={"total": 1})[0] == "rejected"
    assert world.judge(world.note(61, factura, 1)) == ("rejected", ["REF-3-750"])


def test_the_order_inside_an_envelope_matters(world):
    factura = world.draft()
    note = world.note(61, factura, 1)
    world.send(note, factura)
    assert world.outcome(note) == ("rejected", ["REF-3-750"])
    assert world.outcome(factura) == ("accepted", [])


def test_a_note_to_another_receiver_is_rejected(world):
    factura = accepted(world)
    assert world.judge(world.note(61, factura, 1, receiver="77777777-7")) == ("rejected", ["REF-3-751"])


def test_an_annulment_with_another_amount_is_objected(world):
    factura = accepted(world)
    note = world.note(61, factura, 1, lines=[("Cajón AFECTO", 1, 1000, "")])
    assert world.judge(note) == ("objected", ["REF-2-780"])


def test_a_text_correction_carries_no_amounts(world):
    factura = accepted(world)
    assert world.judge(world.note(61, factura, 2)) == ("objected", ["REF-2-781"])
    other = accepted(world)
    note = world.note(61, other, 2, lines=[TEXT_LINE], totals=totals(MntTotal=0))
    assert world.judge(note) == ("accepted", [])


def test_an_annulment_has_one_reference(world):
    one, two = accepted(world), accepted(world)
    rows = [(33, draft.folio, draft.date, 1, "motivo") for draft in (one, two)]
    assert world.judge(world.note(61, one, 1, references=rows)) == ("rejected", ["REF-3"])


def test_the_set_reference_does_not_count(world):
    factura = accepted(world)
    rows = [("SET", 1, factura.date, "", "CASO 1-1"), (33, factura.folio, factura.date, 1, "motivo")]
    assert world.judge(world.note(61, factura, 1, references=rows)) == ("accepted", [])


def test_a_debit_note_annuls_only_credit_notes(world):
    factura = accepted(world)
    assert world.judge(world.note(56, factura, 1)) == ("rejected", ["REF-3-415"])
    assert world.judge(world.note(56, factura, 3)) == ("accepted", [])


@pytest.mark.parametrize(("code", "letters", "number"), [(1, "ANC", "15"), (2, "TMC", "11"), (3, "MMC", "13")])
def test_a_credit_note_changes_the_answer_about_its_document(world, code, letters, number):
    factura = accepted(world)
    values = {"lines": [TEXT_LINE], "totals": totals(MntTotal=0)} if code == 2 else {}
    assert world.judge(world.note(61, factura, code, **values))[0] == "accepted"
    answer = world.sii.est_dte(factura)
    assert (answer["ESTADO"], answer["ERR_CODE"]) == (letters, number)


@pytest.mark.parametrize(("code", "letters", "number"), [(1, "AND", "14"), (2, "TMD", "10"), (3, "MMD", "12")])
def test_a_debit_note_changes_the_answer_about_its_document(world, code, letters, number):
    factura = accepted(world)
    credit = world.note(61, factura, 3)
    assert world.judge(credit)[0] == "accepted"
    values = {"lines": [TEXT_LINE], "totals": totals(MntTotal=0)} if code == 2 else {}
    assert world.judge(world.note(56, credit, code, **values))[0] == "accepted"
    answer = world.sii.est_dte(credit)
    assert (answer["ESTADO"], answer["ERR_CODE"]) == (letters, number)
