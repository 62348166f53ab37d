"""Trains small tokenizers, one for each rule of cutting words, and writes what the `tokenizers` package makes of texts.

Run with a Python that has tokenizers:  python Scripts/reference/tokenizers_expected.py
Writes tokenizer-*.json, tokenizer-results.json and gguf-llama.json into Tests/TokenizersTests/Expected.
(tokenizers, and transformers for the merges of a SentencePiece vocabulary.)
"""
import json
import random
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = Path(__file__).resolve().parents[2] / "Tests/TokenizersTests/Expected"

TEXT = """
The harbour lay quiet in the morning, and the boats were moored two by two along the stone quay. Nobody spoke of the
storm, though everyone's roof had lost a tile or ten; they'd mend them, we'll see, I'm sure it's nothing we can't do.
In 1987 there were 12,345 ships, in 2024 only 678. Prices rose by 3.14159% from $9.99 to $10.30.
def quay(boats: list[str]) -> int:
    return sum(len(boat) for boat in boats if boat is not None)  # 4 spaces
for (int i = 0; i < 10; ++i) { printf("%d\\n", i); }
Der Hafen lag ruhig da, während die Möwen über den Dächern kreisten; größere Schiffe kamen später.
Le port était calme, les bateaux dormaient près du quai; où était passée la tempête? C'était déjà l'été.
Гавань была тихой, лодки стояли у причала, а чайки кружили над крышами города.
港は静かだった。船が二隻ずつ石の岸壁に並んでいた。朝の光。港口很安静，船只停泊在码头上。
항구는 조용했고 배들은 부두에 묶여 있었다. المرفأ هادئ والقوارب راسية. הנמל שקט.
👩‍👩‍👧 🇨🇭 😀😀 🏴‍☠️ … — “quotes” ‘single’ ½ ² Ⅷ ٣٤ १२
""" * 3

TEXTS = [
    "", " ", "  ", "\n", "\r\n", "\t", "a", " a", "a ", "Hello world", "Hello  world", "   Hello", "Hello   ", "\n\n\nHello",
    "Hello\n\n  world\n", "a\r\nb\r\n\r\nc", "a \n b", " \n", "\n ", " \t\n \t x", "tabs\t\tand\t spaces  \t", "x\u00a0y\u00a0\u00a0z",
    "\u3000全角　空白", "\u2028line\u2029para\u0085next", "\x0b\x0c\x1c\x1d\x1e\x1f", "\x00\x01\x7f\x80\x9f", "zero\u200bwidth\ufeffbom\u200d",
    "I'm you're he'll they've it's I'd don't", "I'M YOU'RE HE'LL THEY'VE IT'S I'D DON'T", "'s't're've'm'll'd", "'S'T'RE'Ve'lL", "''s '' '", "'ſ 'ſs",
    "it's'nt rock'n'roll o'clock 'tis 'hello", " 's 't", "123", "1234567890", "12 345 6", "3.14159", "a1b2c3", "1a 22b 333c 4444d", "٣٤٥ १२३ ²³ ½ Ⅷ ①②",
    "$9.99!!! (really?) [yes]... -- ***", "!?!?\n\n!?\n", "foo_bar.baz->qux::quux", "a=b+c*d/e%f^g&h|i~j", "C:\\path\\to\\file /usr/bin", "https://example.com/?a=1&b=2#c",
    "{\"key\": [1, 2.5, null, true]}", "    if x:\n        return  y  # c\n\n\n", "<|im_start|>user\nHi<|im_end|>\n<|im_start|>", "<|im_start", "<|im_end|><|im_end|>", "a<|im_end|>b <|im_end|> c",
    "<|im_start|>|>", "  <left>  x", "x  <right>  y", "a <both> b", "the word in sword word", "word", "a word.", "wordword word_ _word wordé", "<norm>É</norm>", "caf\u00e9 cafe\u0301 CAF\u00c9",
    "e\u0301\u0302 \u1100\u1161\u11a8 \uac01 \u212b \u00c5 A\u030a \uf900 \ufb01", "\u0301start with mark", "नमस्ते दुनिया", "ภาษาไทย", "Ελληνικά ΆΣ", "ﷺ ﷽", "👩‍👩‍👧 👍🏽 🇨🇭🇫🇷 🏴‍☠️ 1️⃣", "😀😀😀😀 😀", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𐍈𐍉 𠜎𠜱",
    "mixed日本語English한국어русский", "ǅ ʰ ª º ʼ ˈ", "״׳ ،؟", "\U0010fffd\ue000\ufffd", "a" * 300, "the " * 50, "ab" * 150, "\n" * 40, " " * 70 + "x", "é" * 60, "😀" * 40, "12" * 60, "!" * 100, "aA" * 20 + "1" * 9 + "_" * 9,
    "Supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis", "Ġthe Ċ âĢĻ", "▁under ▁ _ ▁▁x", "<0x41> <0xE2>", "<unk> <s> </s>", " leading and trailing ",
]
# Of Gemma alone, so that the other expectations stay as they are.
GEMMA_TEXTS = ["<start_of_turn>user\nHi <end_of_turn>\n<start_of_turn>model\n", "<bos><eos> <pad><unused1>", "a  b   c        d", "\n\n\n\n\n\n\n\n\n\nx", "\t\tif x:\t\t\t\t\n",
               "<strong>the</strong> <s>quay</s> <table>", "▁▁ two ▁▁▁", "x" + " " * 40 + "y", "[multimodal] boats", " <start_of_turn> ", "\n \n  \n"]
ALPHABETS = ["ab cd.\n", "0123 aé,'", " \t\n\r\u00a0\u3000x1", "aAéß日한😀\u0301\u200d 1½", "'sStT rReEvVlLdDmM", "<|im_end|> lft>word", "\u0300\u0327aeo\u1161\u1100\u11a8 "]

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
SPECIAL = ["<|end|>", "<|im_start|>", "<|im_end|>"]


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_level(name):
    tokenizer = Tokenizer(models.BPE(ignore_merges=name == "llama3"))
    if name == "gpt2":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif name == "gpt2-prefix":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    elif name == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    else:
        tokenizer.pre_tokenizer = split(LLAMA3 if name == "llama3" else QWEN2)
    if name == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXT.split("\n"), trainers.BpeTrainer(
        vocab_size=768, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    if name == "llama3":
        tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
            single="<|im_start|> $A", pair="<|im_start|> $A <|im_start|>:1 $B:1", special_tokens=[("<|im_start|>", 1)])])
    if name == "smollm":  # every flag that an added token can have
        tokenizer.add_special_tokens([AddedToken("<left>", lstrip=True), AddedToken("<right>", rstrip=True)])
        tokenizer.add_tokens([AddedToken("<both>", lstrip=True, rstrip=True), AddedToken("word", single_word=True), AddedToken("<norm>", normalized=True), AddedToken("é", normalized=False)])
    if name == "qwen2":
        tokenizer.add_tokens([AddedToken("e\u0301", normalized=True), AddedToken("A\u030a", normalized=False)])
    return json.loads(tokenizer.to_str())


def sentence_piece(metaspace):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    content = [line for line in TEXT.split("\n") if line.isascii() or "ä" in line]
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    tokenizer.train_from_iterator(content, trainers.BpeTrainer(
        vocab_size=800, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, show_progress=False))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.pre_tokenizer = None
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    tree = json.loads(tokenizer.to_str())
    tree["added_tokens"] = [token for token in tree["added_tokens"] if not token["content"].startswith("<0x")]
    return tree


def gemma():
    """Gemma's way: no space in front, runs of spaces and line ends and tags as added tokens, turns as control tokens."""
    runs = ["\n" * n for n in range(1, 7)] + ["▁" * n for n in range(2, 8)] + ["\t" * n for n in range(1, 4)]
    control = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<unused0>", "<unused1>", "<start_of_turn>", "<end_of_turn>"]
    plain = ["[multimodal]"] + runs + ["<table>", "<s>", "</s>", "<strong>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    content = [line.replace("\t", " ") for line in TEXT.split("\n") if line.isascii() or "ä" in line]
    tokenizer.train_from_iterator(content, trainers.BpeTrainer(
        vocab_size=700, special_tokens=control + plain + [f"<0x{b:02X}>" for b in range(256)], show_progress=False))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", 2)])
    tree = json.loads(tokenizer.to_str())
    known = set(control + plain)
    tree["added_tokens"] = [t | {"special": t["content"] in control} for t in tree["added_tokens"] if t["content"] in known]
    # A run of spaces is found by its merges, which come before all others: the added token is looked for as it is written.
    ways = [(run[:n], run[n:]) for run in runs for n in range(1, len(run)) if run[:n] in tree["model"]["vocab"] and run[n:] in tree["model"]["vocab"]]
    tree["model"]["merges"] = [list(way) for way in sorted(ways, key=lambda w: len(w[0] + w[1]))] + [
        m for m in tree["model"]["merges"] if tuple(m) not in ways]
    return tree


def sentence_piece_gguf(texts):
    """A vocabulary as a GGUF file holds it, and what transformers and tokenizers make of it."""
    from transformers.convert_slow_tokenizer import generate_merges
    tree = sentence_piece(False)
    vocabulary = tree["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.get)
    types = [2 if t == "<unk>" else 3 if t in ("<s>", "</s>") else 6 if t.startswith("<0x") else 1 for t in tokens]
    # As SentencePiece does, scores fall with the id; a few are equal here, so that their order counts.
    scores = [0.0 if kind != 1 else -float(id // 3) for id, kind in enumerate(types)]
    plain = {t: id for id, t in enumerate(tokens) if types[id] == 1}
    merges = generate_merges(plain, {t: scores[id] for t, id in plain.items()})
    tree["model"]["merges"] = merges
    tokenizer = Tokenizer.from_str(json.dumps(tree))
    result = {"tokens": tokens, "types": types, "scores": scores, "merges": [" ".join(pair) for pair in merges],
              "ids": [tokenizer.encode(text).ids for text in texts]}
    (OUT / "gguf-llama.json").write_text(json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    generator = random.Random(5)
    texts = TEXTS + ["".join(generator.choice(alphabet) for _ in range(generator.randrange(1, 24))) for alphabet in ALPHABETS for _ in range(12)]
    results = {"texts": texts, "tokenizers": {}}
    for name in ["gpt2", "gpt2-prefix", "llama3", "qwen2", "smollm", "llama2", "mistral", "gemma"]:
        tree = gemma() if name == "gemma" else sentence_piece(name == "mistral") if name in ("llama2", "mistral") else byte_level(name)
        if name in ("gpt2", "mistral"):  # merges are published in both spellings
            tree["model"]["merges"] = [" ".join(pair) for pair in tree["model"]["merges"]]
        path = OUT / f"tokenizer-{name}.json"
        path.write_text(json.dumps(tree, ensure_ascii=False, separators=(",", ":")) + "\n")
        tokenizer = Tokenizer.from_str(path.read_text())
        size = tokenizer.get_vocab_size()
        # Ids at random end characters early and start them in the middle.
        lists = [[generator.randrange(size) for _ in range(generator.randrange(1, 12))] for _ in range(60)]
        more = GEMMA_TEXTS if name == "gemma" else []
        results["tokenizers"][name] = {
            "ids": [tokenizer.encode(text).ids for text in texts],
            "ids_without_special": [tokenizer.encode(text, add_special_tokens=False).ids for text in texts[:20]],
            "decoded": [{"ids": ids, "text": tokenizer.decode(ids), "with_special": tokenizer.decode(ids, skip_special_tokens=False)} for ids in lists],
        }
        if more: results["tokenizers"][name]["more"] = [{"text": text, "ids": tokenizer.encode(text).ids} for text in more]
        print(path.name, path.stat().st_size, size)
    sentence_piece_gguf(texts)
    (OUT / "tokenizer-results.json").write_text(json.dumps(results, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
