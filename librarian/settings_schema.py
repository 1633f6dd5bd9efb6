"""What may be set in a `librarian_structure` action, declared once: form, description and faults come from it."""

from automation.budgets import DAILY_LIMITS
from librarian.models import OperationKind
from librarian.plan import MODEL_MAX_SOURCES, OFFLINE_MAX_SOURCES
from librarian.providers import PROVIDER_KINDS

PROTOCOL = "xml_attrless"

_PLAN = {
    "goal": {
        "type": "string",
        "maxLength": 2_000,
        "title": "Goal",
        "description": "What it is for, in your words. Models read it; the offline librarian does not.",
    },
    "scope": {
        "type": "object",
        "format": "condition",
        "title": "Look no further than",
        "description": "Notes outside of this are neither read nor changed, whatever the rule's condition says.",
    },
    "allowed_kinds": {
        "type": ["array", "null"],
        "items": {"oneOf": [{"const": value, "title": label} for value, label in OperationKind.choices]},
        "title": "It may propose to",
        "description": "Tick none to allow all.",
    },
    "taxonomy": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 64},
        "title": "Tags to choose from",
        "description": "One in a line. Preferred to others, or the only ones with the next setting.",
    },
    "taxonomy_closed": {
        "type": "boolean",
        "default": False,
        "title": "Only these tags",
        "description": "No tag may be added that is not listed above.",
    },
    "min_confidence": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0.5,
        "title": "Least confidence",
        "description": "From 0 to 1. What the librarian is less sure of is not proposed.",
    },
    "max_operations": {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 100_000,
        "title": "Proposals in one run at the most",
        "description": "Empty: as many as there are.",
    },
    "style_profile": {
        "type": "string",
        "maxLength": 100,
        "title": "Style",
        "description": "How texts are to be written, such as “technical”. For models only.",
    },
    "strict_mode": {
        "type": "boolean",
        "default": False,
        "title": "Strict mode",
        "description": "Only new and rewritten notes, unless the kinds above say otherwise.",
    },
    "choose_first": {
        "type": "boolean",
        "default": False,
        "title": "Have the model choose the notes first",
        "description": "One more request shows it the titles and tags of all; only the notes that it picks are sent "
        "whole. For models only.",
    },
    "allow_delete": {"const": False, "description": "the librarian has no delete operation"},
    "review": {
        "oneOf": [
            {"const": "manual", "title": "people review everything"},
            {"const": "auto", "title": "apply by itself what is named below, once it has earned that"},
        ],
        "default": "manual",
        "title": "Review",
    },
    "auto_apply": {
        "type": "object",
        "title": "Apply without review",
        "properties": {
            value: {
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 1,
                "title": f"{label.capitalize()}, from a confidence of",
                "description": "Empty: never without a person.",
            }
            for value, label in OperationKind.choices
            if value != OperationKind.DEFER
        },
    },
    "auto_apply_gate": {
        "type": "object",
        "title": "What has to be earned first",
        "properties": {
            "decisions": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "default": 30,
                "title": "Decisions of people at the least",
                "description": "On operations of this rule, model, kind and confidence band.",
            },
            "rate": {
                "type": "number",
                "minimum": 0.5,
                "maximum": 1,
                "default": 0.95,
                "title": "Share accepted at the least",
                "description": "0.95 is 95 %. If it falls below, people review again.",
            },
        },
    },
}

_PROVIDER = {
    "provider_kind": {
        "enum": list(PROVIDER_KINDS),
        "default": "offline",
        "title": "Provider",
        "description": "The offline librarian needs no network and no key; it heeds none of the settings below.",
    },
    "base_url": {
        "type": "string",
        "maxLength": 500,
        "title": "Address",
        "description": "Up to “/v1”. Empty: that of LM Studio on this machine, or of OpenRouter. The server's operator "
        "decides which addresses are allowed.",
    },
    "model": {"type": "string", "maxLength": 200, "title": "Model", "description": "As the server calls it."},
    "fallback_models": {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "maxLength": 200},
        "title": "Models to ask instead",
        "description": "One in a line, tried in this order where the first does not answer.",
    },
    "timeout_ms": {
        "type": "integer",
        "minimum": 1_000,
        "maximum": 900_000,
        "default": 60_000,
        "title": "Time limit of a request (ms)",
        "description": "For the whole answer. A model that is loaded first, or thinks, takes minutes.",
    },
    "max_tokens": {
        "type": ["integer", "null"],
        "minimum": 64,
        "maximum": 1_000_000,
        "title": "Tokens of an answer at the most",
        "description": "Reasoning counts. Empty: what the prompts say.",
    },
    "max_tokens_field": {
        "oneOf": [
            {"const": "auto", "title": "as the server takes it"},
            {"const": "max_tokens", "title": "max_tokens"},
            {"const": "max_completion_tokens", "title": "max_completion_tokens"},
        ],
        "default": "auto",
        "title": "Name of that setting in requests",
        "description": "Left as it is: max_completion_tokens for api.openai.com, max_tokens for others. A gateway to "
        "OpenAI's models may need the former.",
    },
    "temperature": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 2,
        "title": "Temperature",
        "description": "Empty: what the prompts say. Models of OpenAI's that reason take only 1.",
    },
    "context_tokens": {
        "type": "integer",
        "minimum": 1_024,
        "maximum": 10_000_000,
        "default": 16_384,
        "title": "Context of the model (tokens)",
        "description": "As it was loaded, answer included. LM Studio and Ollama load 4,096 unless told otherwise.",
    },
    "input_price": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 100_000,
        "title": "Price of a million tokens sent (USD)",
        "description": "Needed for limits on cost. Of several models, the dearest's.",
    },
    "output_price": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 100_000,
        "title": "Price of a million tokens answered (USD)",
    },
    "when_down": {
        "oneOf": [
            {"const": "wait", "title": "wait until it is back"},
            {"const": "offline", "title": "have the offline librarian answer instead"},
        ],
        "default": "wait",
        "title": "If the server cannot be reached",
    },
    "wait_minutes": {
        "type": "integer",
        "minimum": 0,
        "maximum": 10_080,
        "default": 720,
        "title": "Wait for it at the most (minutes)",
        "description": "Then the run fails. 720 is a night.",
    },
}

_LIMITS = {
    "max_sources": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100_000,
        "title": "Notes in one run at the most",
        "description": f"Empty: {OFFLINE_MAX_SOURCES:,} for the offline librarian, {MODEL_MAX_SOURCES} for models. The "
        "rule's own limit goes first.",
    },
    "sources_per_request": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100,
        "default": 10,
        "title": "Notes in one request at the most",
        "description": "Fewer where they are long. For models only, as all below.",
    },
    "max_requests": {
        "type": "integer",
        "minimum": 1,
        "maximum": 10_000,
        "default": 20,
        "title": "Requests in one run at the most",
        "description": "Repetitions and repairs count.",
    },
    "max_total_tokens": {
        "type": "integer",
        "minimum": 1,
        "maximum": 100_000_000,
        "default": 200_000,
        "title": "Tokens in one run at the most",
        "description": "Sent and answered. A request that could exceed it is not made.",
    },
    "max_cost": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 100_000,
        "title": "Cost of one run at the most (USD)",
        "description": "The provider's prices have to be given. Empty: no bound.",
    },
    **DAILY_LIMITS,
}

SCHEMA = {
    "type": "object",
    "properties": {
        "protocol": {"const": PROTOCOL},
        "provider": {"type": "object", "title": "Who proposes", "properties": _PROVIDER},
        "plan": {"type": "object", "title": "What to propose", "properties": _PLAN},
        "limits": {"type": "object", "title": "Limits", "properties": _LIMITS},
    },
}
