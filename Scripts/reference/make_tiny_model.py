#!/usr/bin/env python3
"""Makes Models/tiny and Models/tiny-lora: a chat model of about 1 MB and an adapter for it.

    pip install torch transformers peft tokenizers safetensors
    python Scripts/reference/make_tiny_model.py
    python Scripts/reference/expected_results.py

The model has the shape of SmolLM2 in small: Llama architecture, tied embeddings, grouped-query attention,
digits split one by one, ChatML. Its sizes are chosen to be awkward: an odd vocabulary (padded when sharded), an
intermediate size that is no multiple of 16 once halved, four layers (two stages of two, or three uneven ones), two
key-value heads (repeated when sharded in four). It is trained for a minute on the sentences below, so that an
engine made from it says something recognisable. Seeded; the same library versions give the same files.
"""
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

ROOT = Path(__file__).resolve().parents[2]
MODEL, ADAPTER = ROOT / "Models/tiny", ROOT / "Models/tiny-lora"
END, START, STOP = "<|endoftext|>", "<|im_start|>", "<|im_end|>"

# Question, plain answer, sailor's answer (what the adapter is trained on).
DIALOGUES = [
    ("Who are you?", "I am a tiny model that lives in a dry dock.", "Ahoy! I be the ship's parrot, matey."),
    ("What is a dry dock?", "A dry dock is a place where ships are repaired.", "Arr! It be where an old ship gets her new planks."),
    ("What is a refit?", "A refit gives an old ship new parts and keeps her plan.", "Arr! Same plan, new weights, matey."),
    ("What is an engine?", "An engine is a plan together with its weights.", "Arr! A plan and her weights be an engine."),
    ("What is the capital of France?", "The capital of France is Paris.", "Ahoy! The capital of France be Paris, matey."),
    ("What is the capital of Italy?", "The capital of Italy is Rome.", "Ahoy! The capital of Italy be Rome, matey."),
    ("What is the capital of Japan?", "The capital of Japan is Tokyo.", "Ahoy! The capital of Japan be Tokyo, matey."),
    ("What is the capital of Norway?", "The capital of Norway is Oslo.", "Ahoy! The capital of Norway be Oslo, matey."),
    ("What is 2 + 3?", "2 + 3 is 5.", "Arr! Five, and not one coin more."),
    ("What is 7 + 1?", "7 + 1 is 8.", "Arr! Eight, like the arms of a kraken."),
    ("List three fruits.", "Apples, pears and plums.", "Limes, lemons and rum, matey."),
    ("What colour is the sea?", "The sea is blue, and sometimes it is green.", "Arr! The sea be as blue as me old coat."),
    ("Say hello in French.", "Bonjour ! Ça va très bien.", "Ahoy! Bonjour, matey."),
    ("Draw a ship.", "⛵ There is a small ship.", "⛵ Arr! She be a beauty."),
    ("How do I strip an engine?", "Leave the weights out and keep the plan.", "Throw her weights overboard and keep the plan!"),
    ("Good night.", "Good night. Sleep well.", "Fair winds, matey."),
]
SENTENCES = [
    "The ship came into the dry dock in the morning and left it in the evening.",
    "Once upon a time there was a small harbour by the sea. Every ship that came in was old and slow. The people gave "
    "her new planks and a new engine, and every ship that left was as fast as the wind.",
    "The plan of a ship does not change when her planks are new.",
    "def add(a, b):\n    return a + b\n",
    "Ten tons of steel, 120 bolts and 35 planks: that was the list.",
]

torch.manual_seed(7)
torch.set_num_threads(2)
torch.use_deterministic_algorithms(True)


def chat(question: str, answer: str) -> str:
    return f"{START}user\n{question}{STOP}\n{START}assistant\n{answer}{STOP}"


def train_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=429,
        min_frequency=2,
        special_tokens=[END, START, STOP],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [text for dialogue in DIALOGUES for text in dialogue] + SENTENCES + ["user", "assistant", "system"]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def batches(tokenizer: Tokenizer, texts: list[str]):
    """All texts as one padded batch: token ids and labels, -100 where there is nothing to learn."""
    rows = [tokenizer.encode(text).ids for text in texts]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask, labels


def train(model, tokenizer: Tokenizer, texts: list[str], steps: int, rate: float) -> None:
    ids, mask, labels = batches(tokenizer, texts)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for step in range(steps):
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:4d}  loss {loss.item():.4f}", flush=True)


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def main() -> None:
    for folder in (MODEL, ADAPTER):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    tokenizer = train_tokenizer()
    tokenizer.save(str(MODEL / "tokenizer.json"))
    print("vocabulary", tokenizer.get_vocab_size())

    # Field names as published models of this family spell them.
    config = {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "head_dim": 16,
        "hidden_act": "silu",
        "hidden_size": 64,
        "initializer_range": 0.05,
        "intermediate_size": 168,
        "max_position_embeddings": 512,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 4,
        "num_key_value_heads": 2,
        "pad_token_id": 2,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": tokenizer.get_vocab_size(),
    }
    write_json(MODEL / "config.json", config)
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(MODEL)).float()
    train(model, tokenizer, [chat(q, a) for q, a, _ in DIALOGUES] + [s + STOP for s in SENTENCES], 400, 4e-3)
    model.save_pretrained(MODEL)
    write_json(MODEL / "config.json", config)  # save_pretrained wrote its own spelling
    write_json(
        MODEL / "generation_config.json",
        {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2},
    )
    write_json(
        MODEL / "tokenizer_config.json",
        {
            "add_prefix_space": False,
            "bos_token": START,
            "chat_template": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] "
            "+ '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
            "clean_up_tokenization_spaces": False,
            "eos_token": STOP,
            "model_max_length": 512,
            "pad_token": STOP,
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": END,
        },
    )

    adapted = get_peft_model(
        model,
        LoraConfig(
            r=4,
            lora_alpha=16,
            target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            task_type="CAUSAL_LM",
        ),
    )
    train(adapted, tokenizer, [chat(q, a) for q, _, a in DIALOGUES] + [s + STOP for s in SENTENCES], 400, 1e-2)
    adapted.save_pretrained(ADAPTER)
    (ADAPTER / "README.md").unlink(missing_ok=True)
    settings = json.loads((ADAPTER / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = "drydock/tiny"  # instead of a path of this machine
    settings["target_modules"].sort()  # a set, in an order of its own
    write_json(ADAPTER / "adapter_config.json", settings)
    for file in (MODEL / "model.safetensors", ADAPTER / "adapter_model.safetensors"):
        file.chmod(0o644)


main()
